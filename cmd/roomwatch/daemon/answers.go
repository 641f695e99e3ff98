package daemon

import (
	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomwatch/bus"
	"roomwatch/cmd/roomwatch/web"
	"roomwatch/publisher/natsconn"
)

// makeAnswers makes what tells of the daemon: over HTTP, and over NATS, where the same
// is told.
func (d *Daemon) makeAnswers(connect natsconn.Config) error {
	token, err := d.cfg.CurrentToken(d.log)
	if err != nil {
		return err
	}
	// What is wrong with NATS is logged by the publisher's connection. This one connects
	// when the first reader of events comes.
	connect.Name, connect.Log = "roomwatch readers", nil
	readers, err := natsconn.New(connect)
	if err != nil {
		return err
	}
	d.web = web.New(web.Config{
		Addr: d.cfg.HTTPAddr, Token: token, Open: d.cfg.HTTPOpen,
		Status: d.Status, Rooms: d.store, Explain: d.Explain, Metrics: d.metrics, Backup: d.store.Backup,
		Conn: readers, Stream: d.cfg.Stream, Prefix: d.cfg.SubjectPrefix, SDKAppID: d.cfg.SDKAppID,
		Log: d.log,
	})
	d.service, err = bus.New(bus.Config{
		Connection: connect, SDKAppID: d.cfg.SDKAppID, StreamPrefix: d.cfg.SubjectPrefix, Version: program.Version(),
		Answers: d.web, Writer: d.isWriter, Log: d.log,
	})
	return err
}

// isWriter reports whether this process is the one that asks the service and publishes.
func (d *Daemon) isWriter() bool { return d.role() == web.RoleWriter }
