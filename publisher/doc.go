// Package publisher brings the events of the outbox to a JetStream stream, each
// exactly once and in order, over the connection of package natsconn.
//
// The stream is the truth about what was published; the outbox is what it lacks.
// A session of the publisher (session.go) makes or checks the stream (preflight.go),
// claims to be the application's writer (claim.go), asks the stream which event it has
// last and goes on from there (recover.go), and then relays what is committed. Whatever ends a
// session, the next one begins with the same steps, so recovery is the normal way.
//
// The claim makes two writers harmless. Package lease makes them rare: of several
// processes, its holder is the one that claims, and the others stand by and follow the
// stream (follow.go, catchup.go, snapshot.go).
//
// The way of an event: Outbox.Events → relay.go → batch.go → encode.go and subject.go →
// publish → Outbox.Stored. Each file does its part once.
//
// Invariants:
//
//	P1  the first message of each batch carries the stream sequence of the newest
//	    claim that this process made (the fence); the server refuses the batch when
//	    there is a newer one, and stores a batch whole or not at all. Two writers
//	    would give one number to two events
//	P2  no more than one batch is in flight, and after an outcome that is unknown
//	    nothing is sent before a new claim is stored and the stream was read
//	P3  nothing is sent over a connection that was made after the stream was read:
//	    a server that was away can come back with less than it had acknowledged
//	P4  so the stream holds a prefix of the sequence numbers, none missing
//
// Beside it the [Pulse] tells that somebody watches, and when nobody did; it bears the
// same fence and has no part in the sequence. The [Bucket] has the live rooms as a
// key-value bucket.
package publisher
