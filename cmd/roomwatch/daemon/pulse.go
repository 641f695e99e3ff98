package daemon

import "context"

// tellPulse tells on the stream that somebody watches, until ctx is done.
func (d *Daemon) tellPulse(ctx context.Context) error {
	d.pulse.Run(ctx)
	return nil
}
