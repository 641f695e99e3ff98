// Package bus answers over NATS what package web answers over HTTP: how the daemon
// is doing, and which rooms are live. It is a NATS micro service, so that the nats
// command finds it and shows its use.
//
// The subjects of application 88888888 are
//
//	roomwatch.88888888.status   each process answers
//	roomwatch.88888888.rooms    the writer answers, a page of the list
//	roomwatch.88888888.room     the writer answers, one room
//	$SRV.PING, INFO, STATS      as micro services do
//
// They lie outside the stream's prefix: the stream would store the requests, and
// answer them itself.
//
// Laws:
//
//	B1  Whoever asks is never waited for by what detects and publishes. The service
//	    has a connection and goroutines of its own, one for each subject.
//	B2  Questions cost a bounded amount of memory and of time, however many come: few
//	    of them wait for each subject, the rest is dropped, and each subject rests
//	    for most of the time.
//	B3  An answer goes to the inbox of who asks, and to no subject that JetStream or
//	    the stream listens to: whoever may only read would publish there by our hand.
//
// The protocol is that of github.com/nats-io/nats.go/micro, whose types it uses. The
// subscriptions are not made by it: those of its verbs hold 64 MiB each, and answer
// wherever they are told to (B2, B3).
package bus
