package daemon

import (
	"context"

	"roomwatch/cmd/roomwatch/web"
	"roomwatch/publisher"
)

// makeBucket makes what looks after the key-value bucket, if one is wanted.
func (d *Daemon) makeBucket() {
	if d.cfg.KVBucket == "" {
		return
	}
	d.bucket = publisher.NewBucket(publisher.BucketConfig{
		Name: d.cfg.KVBucket, Conn: d.conn, Outbox: d.store, Stream: d.cfg.StreamConfig(), SDKAppID: d.cfg.SDKAppID, Log: d.log, Metrics: d.metrics,
	})
}

// tendBucket looks after the bucket once the stream from which NATS fills it exists.
func (d *Daemon) tendBucket(ctx context.Context) error {
	select {
	case <-d.pub.Recovered():
		return d.bucket.Run(ctx)
	case <-ctx.Done():
		return nil
	}
}

// bucketStatus is how the bucket is doing; nil if there is none.
func (d *Daemon) bucketStatus() *web.Bucket {
	if d.bucket == nil {
		return nil
	}
	s := d.bucket.Status()
	b := &web.Bucket{Name: s.Name}
	if s.Error != nil {
		b.LastError = &web.Lasting{Since: web.Time{Time: s.Since}, Text: s.Error.Error()}
	}
	return b
}
