package daemon

import (
	"context"
	"fmt"

	"roomwatch/cmd/roomwatch/config"
	"roomwatch/cmd/roomwatch/web"
	"roomwatch/poller/webhook"
)

// listenForCallbacks makes the receiver of the vendor's callbacks, if they are wanted.
func (d *Daemon) listenForCallbacks(ctx context.Context) (err error) {
	if d.cfg.WebhookAddr == "off" {
		return nil
	}
	token, err := d.cfg.CurrentWebhookToken(d.log)
	if err != nil {
		return fmt.Errorf("%w: %w", config.ErrInvalid, err)
	}
	d.receiver, err = webhook.New(webhook.Config{SDKAppID: d.cfg.SDKAppID, Token: token, Tell: d.tell, Log: d.log, Metrics: d.metrics})
	if err != nil {
		return err
	}
	if d.callback, err = d.outside.listener(ctx, d.cfg.WebhookAddr); err != nil {
		return fmt.Errorf("receive callbacks: %w; set ROOMWATCH_WEBHOOK_ADDR to a free address, or to off", err)
	}
	return nil
}

// CallbackAddr is where callbacks are received, before Run; empty if they are not.
func (d *Daemon) CallbackAddr() string {
	if d.callback == nil {
		return ""
	}
	return d.callback.Addr().String()
}

// callbacks is what has come of the vendor's callbacks; nil if they are not received.
func (d *Daemon) callbacks() *web.Callbacks {
	if d.receiver == nil {
		return nil
	}
	s := d.receiver.Status()
	return &web.Callbacks{Last: web.Time{Time: s.Last}, Taken: s.Taken, Refused: s.Refused}
}
