package daemon

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"roomwatch/cmd/roomwatch/web"
	"roomwatch/diff"
	"roomwatch/diff/retry"
)

// peerLook is how often it is looked whether the connection is another one.
const peerLook = time.Second

// A peerCallback is a callback on its way from a standby to the writer.
type peerCallback struct {
	RoomID string            `json:"room"`
	Kind   diff.CallbackKind `json:"kind"`
	Signed int64             `json:"signed"`
}

// callbackSubject is where standbys pass callbacks on. Nobody but roomwatch may publish
// there: a callback that says that a room was destroyed is a witness.
func (d *Daemon) callbackSubject() string {
	return "roomwatch." + strconv.Itoa(d.cfg.SDKAppID) + ".peer.callback"
}

// tell takes a callback, or passes it on to the writer. What is lost on the way is lost
// without harm: the sweeps find it.
func (d *Daemon) tell(c diff.Callback) {
	if d.role() == web.RoleWriter {
		d.store.Tell(c)
		return
	}
	body, err := json.Marshal(peerCallback{c.RoomID, c.Kind, c.Signed})
	if nc := d.conn.Client(); err == nil && nc != nil && nc.IsConnected() {
		err = nc.Publish(d.callbackSubject(), body)
	}
	if err != nil {
		d.log.Debug("callback was not passed on", "room", c.RoomID, "error", err)
	}
}

// hearPeers takes the callbacks that standbys pass on, until ctx is done.
func (d *Daemon) hearPeers(ctx context.Context) {
	peers := d.conn.Listener(d.callbackSubject(), d.hearPeer)
	defer peers.End()
	for ctx.Err() == nil {
		if err := peers.Keep(); err != nil {
			d.log.DebugContext(ctx, "callbacks of standbys are not heard", "error", err) // the connection is about to be replaced
		}
		_ = retry.Sleep(ctx, peerLook)
	}
}

func (d *Daemon) hearPeer(m *nats.Msg) {
	var c peerCallback
	if err := json.Unmarshal(m.Data, &c); err != nil || c.RoomID == "" {
		d.log.Debug("what a standby passes on cannot be read", "error", err)
		return
	}
	if d.receiver != nil {
		d.receiver.PassedOn()
	}
	d.store.Tell(diff.Callback{RoomID: c.RoomID, Kind: c.Kind, At: time.Now(), Signed: c.Signed})
}
