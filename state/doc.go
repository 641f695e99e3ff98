// Package state keeps what is believed of the live rooms, and what the stream
// has still to be told, in one bbolt file.
//
// Buckets, keys and values; numbers in keys are 8 bytes, big endian, so that
// keys sort as the numbers do, and a record is CBOR with numbered fields, so
// that a later version can add fields:
//
//	meta     "format"   → "1"
//	         "app"      → the SDKAppID, decimal
//	         "epoch"    → the epoch of the sequence numbers
//	         "follows"  → the ID of the event that the epoch follows
//	         "last"     → number and event record of the last event that has left the
//	                      outbox; 0 and the event that the epoch follows if none has
//	         "counters" → counters record
//	         "gaps"     → gap records: those that the stream is not known to have
//	         "rebuild"  → present while a rebuild has not ended
//	         "holder"   → which process wanted the lease last, see [Holder]
//	rooms    number of the room, RoomID → CreateTime, 1 if the view count is
//	         published and else 0, an attributes record, a known record
//	missing  the room's key → mark record
//	outbox   sequence number → event record
//	ends     RoomID → number of its newest end, CreateTime, Unix nanoseconds of
//	         the telling, sweep, missed sweeps, what proved it
//	endOrder number of the end → RoomID
//
// The life of a page, in the order in which to read the code:
//
//	[Committer.Page]  queues it; pages that come fast are committed together
//	[Store.Commit]    one transaction; skips rooms that the index knows as settled
//	[diff.Policy.See] decides what the sight of one room means: Known and Events
//	writer.take       writes the room, its mark and the counters
//	writer.append     numbers the events and puts them into the outbox
//	[Store.Events]    the publisher reads them there, and [Store.Stored] drops them
//
// Point reads and probes take the same way from [diff.Policy.SeeRead] and
// [diff.Policy.SeeProbe] on.
//
// The end of a room comes from no page: a complete sweep ([Store.EndSweep]) or point
// reads ([Store.CommitReads]) prove it, and writer.end puts it into the outbox.
//
// A page is one transaction ([Store.Commit]), and so is each part of the end of
// a sweep ([Store.EndSweep]). Invariants; [Store.Check] sees I2 to I6, and the
// tests compare all of them with a model:
//
//	I1  rooms, counters and outbox change in one transaction: the outbox is
//	    exactly what the rooms have become since the last event stored
//	I2  sequence numbers are given in that transaction: 1, 2, 3 … in an epoch,
//	    each to one event; a rebuild begins an epoch, and so does [Store.Renumber];
//	    the outbox is a run of them, none missing, that ends with the last one given
//	I3  a mark in missing belongs to a room in rooms
//	I4  the counters know how many rooms, hidden rooms and marks there are
//	I5  a RoomID is in rooms once, and keeps its number until it is gone
//	I6  each end in ends is in endOrder under its number, and nothing else is; an
//	    end is added in the transaction that ends its room
//
// The file is a cache of the stream plus what is not stored yet: whoever loses
// it gets it back from the stream ([Store.Rebuild]).
package state
