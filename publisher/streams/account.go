package streams

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// CheckAccount returns what the limits of an account will refuse: the stream as it
// is to be made, or a further consumer and message of the one that exists (info).
// It is [ErrLimit], each reason with its fix.
func (n Need) CheckAccount(a *jetstream.AccountInfo, info *jetstream.StreamInfo, wanted jetstream.StreamConfig) error {
	if info != nil {
		wanted = info.Config
	}
	tier := a.Tier
	if len(a.Tiers) > 0 {
		var ok bool
		if tier, ok = a.Tiers[fmt.Sprintf("R%d", max(1, wanted.Replicas))]; !ok {
			return n.refusal(noTier, "the account has no limits for %d replicas", max(1, wanted.Replicas))
		}
	}
	l := tier.Limits
	var errs []error
	add := func(holds bool, code jetstream.ErrorCode, format string, args ...any) {
		if holds {
			errs = append(errs, n.refusal(code, format, args...))
		}
	}
	add(l.MaxStore == 0, accountFull, "JetStream of this account has no storage")
	add(l.MaxStore > 0 && tier.Store >= uint64(l.MaxStore), accountFull, "the account uses %d bytes of %d", tier.Store, l.MaxStore)
	if n.AckPending > 0 {
		add(l.MaxAckPending > 0 && l.MaxAckPending < n.AckPending, ackPending, "the account allows consumers %d unacknowledged messages", l.MaxAckPending)
	}
	if info == nil {
		add(l.MaxStreams > 0 && tier.Streams >= l.MaxStreams, mostStreams, "the account has %d streams of %d", tier.Streams, l.MaxStreams)
		add(l.MaxBytesRequired && wanted.MaxBytes <= 0, bytesRequired, "the stream would have no size limit")
		add(l.StoreMaxStreamBytes > 0 && wanted.MaxBytes > l.StoreMaxStreamBytes, bytesExceeded, "the stream would have %d bytes of %d", wanted.MaxBytes, l.StoreMaxStreamBytes)
		return errors.Join(errs...)
	}
	most := info.Config.MaxConsumers
	if l.MaxConsumers > 0 && (most <= 0 || l.MaxConsumers < most) {
		most = l.MaxConsumers
	}
	add(most > 0 && info.State.Consumers >= most && n.Use != Keep, mostConsumers, "the stream has %d consumers of %d", info.State.Consumers, most)
	return errors.Join(errs...)
}

// refusal is what NATS will say, before it is asked.
func (n Need) refusal(code jetstream.ErrorCode, format string, args ...any) error {
	return n.explain(code, fmt.Errorf(format, args...))
}
