// Package events is for programs that subscribe to what roomwatch publishes.
//
// [Decode] reads the body of a message, [Subscribe] hands each event to a
// handler at least once and in the order of its room, [Follow] tells which
// rooms are live and then every change, and a [Verifier] checks that a stream
// keeps its promises.
//
// What the events say and which promises they keep:
//
//	E1  an event's id is <epoch>-<sequence>; the sequence numbers of an epoch are
//	    1, 2, 3 … in the order of the stream, each given to one event. A new state
//	    and each rebuild begin an epoch
//	E2  a life of a room begins with room.created, version 1, and ends with
//	    room.ended; each event between has the version of the one before plus 1
//	E3  previous.ViewCount is the count in the event before of that life
//	E4  the time never runs backwards within an epoch
//	E5  the message's Nats-Msg-Id is the event's id, its subject follows from the
//	    event's type, source and room
//
//	E6  an event with gap: true has a since: the change may have happened while nobody
//	    watched. A gap is told once, with the id resumed-<from>, and no two of them overlap
//
// The package stands alone: it takes no rule of the stream from the daemon, so that
// each can prove the other right. What it shares is how a stream is read and how one waits.
package events
