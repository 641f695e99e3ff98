// Package diff turns looks at the list of live rooms into events.
//
// It is the vocabulary of the whole program: [Room], [Page], [Sweep] and
// [Event] are defined here and nowhere else, and every decision about them is
// made here: what the sight of a room means against what was known of it
// ([Policy.See]), and which absences are believed: those that point reads prove
// ([Witnesses.Proved]) and those that complete sweeps prove ([Policy.Judge]).
//
// How a page comes here, and what becomes of the events, is in the comment of package
// state.
//
// The package does no I/O, starts no goroutine and reads no clock. Every other
// package may import it; it imports only the standard library.
//
// The law it keeps: presence on a page is believed at once, absence only from point
// reads with a control or from complete sweeps, and a life that was reported as ended is
// not brought back by an older look.
// The list is ordered by view counts that grow while it is read, so a
// room can be on two pages of one sweep, and a room that is live can be on none.
//
// The words of the program, each with one meaning everywhere:
//
//	room        one live room, by RoomID and CreateTime
//	life        one of several rooms with the same RoomID
//	page        one answer of get_room_list
//	sweep       one reading of the list, from its first page to the empty Next
//	complete    of a sweep: the service ended the list, and every row was understood
//	sight       one room as a page or a read shows it
//	probe       one page that was read by a Next of an earlier sweep
//	place       a Next of an earlier sweep, and what was found there; also where a
//	            room stands in the list. Where a reader of a stream is, is its position
//	point read  one answer of get_room_info, about one RoomID
//	proposal    a RoomID that should be read; it carries no facts
//	witness     an answer that says that a room does not exist
//	control     a read of a room that is live, to test the other reads
//	missing     of a known room: the newest complete sweeps did not show it
//	passed      of a known room: the current sweep should have shown it by now
//	hidden      of a live room: the list does not show it
//	settled     of a known room: the same sight again changes nothing
//	event       one published difference
//	baseline    a room that was live before the first look
//	gap         a time in which nobody watched: no sweep was complete
//	pulse       what is told once a minute: that somebody watches
//	epoch       a sequence of events, 1, 2, 3 …, none missing
//	outbox      the events that wait in the state for the stream
//	claim       the message that makes a process the writer, and fences the others
//	lease       what makes one of several processes the writer; it has a term, one more with each holder
//	standby     a process that waits for the lease, and keeps its state up to date with the stream
//	rebuild     a new state, folded from the stream
//	guard       nothing ends while too many rooms are missing at once
package diff
