// Package web shows over HTTP what a running roomwatch knows: a status page, an
// API for programs, probes and metrics. It only shows; nothing in it changes
// anything.
//
// Laws:
//
//	W1  Nobody who reads here is ever waited for by what detects and publishes:
//	    the status is read from memory, rooms in short transactions that are over
//	    before the first byte of an answer is written, and events from the stream,
//	    over a connection that the publisher does not use. A backup is a copy on
//	    the disk before it is sent.
//	W2  Whoever reads costs a bounded amount of memory and of goroutines.
//	W3  Without the token an answer tells nothing but that the process lives and
//	    whether it is ready, unless the configuration says that all may read.
package web
