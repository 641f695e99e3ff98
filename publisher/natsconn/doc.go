// Package natsconn is how the programs here talk to NATS: one [Conn] that dials,
// reconnects, holds, and explains.
//
// config.go says where NATS is and who asks, settings.go what is wrong with that,
// and credentials.go reads the files that it names. conn.go is the connection,
// domain.go its JetStream, options.go how the client library is used for it, and
// report.go its log. dialer.go
// and gate.go stand between the library and the network. listener.go is a subscription
// that outlives a connection, and leader.go asks for what a replica may not have heard of
// yet. question.go and fix.go tell what NATS does not say in its answers, and what an
// operator can do about it.
//
// A daemon calls [Connect]: NATS may be away when it starts. A command that ends calls
// [Dial]: that NATS is away is its error. [New] is for who connects later, and [Of] for
// a client that was made elsewhere.
package natsconn
