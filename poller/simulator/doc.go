// Package simulator is a stand-in of Tencent Live's get_room_list and
// get_room_info that knows the truth: what they show to a client can be compared
// with what really was live ([Service.Truth]).
//
// It shares no code with the rest of this module, above all no wire types: a
// simulator that is decoded by its own structs proves nothing.
//
// # The world
//
// Rooms open, close, are entered and are re-created at random moments, with
// exponential gaps between them, all drawn from one seeded generator. Nothing
// runs in the background but [Service.SendCallbacks], if it is called: each request
// and each look at the truth first applies every event up to time.Now. Laws, held by the tests:
//
//	W1  The world is a function of Config and the moment. How often it was
//	    looked at, and by which process, changes nothing: a second process
//	    with an equal Config, and Start given, goes on exactly where the
//	    first one would be. Hand operations are not part of this; they are
//	    gone with their process.
//	W2  A room lives Rooms/Opens seconds on average, so that the number of
//	    live rooms stays near Rooms (it is Poisson: give or take √Rooms).
//	W3  The list is ordered by ViewCount, falling, then by RoomID, rising,
//	    and holds each live room once that is not hidden.
//	W4  (RoomID, CreateTime) names one life. A RoomID that comes back has a
//	    CreateTime at least one second newer than before, even if that lies
//	    ahead of the clock.
//
// # The service
//
// Answers follow the documented API: always HTTP 200, the truth in ErrorCode,
// at most 20 rooms a page, at most 10 requests of the list and 200 of
// get_room_info in any second. get_room_info may lag behind ([Config]), and both
// can lie for a while ([Service.Lie]). What the
// documentation leaves open is chosen here: where reading goes on after a page
// (see [Next]), that the last page has an empty Next even if it is full, that
// an empty list is [], and that Category is left out when it is empty.
//
// # The callbacks
//
// If [Callbacks] has a URL, each room that is created, has ended, was hidden, shown
// or edited from then on is told to it, as the vendor's webhooks do: best effort,
// in no order, signed if there is a token. Rooms that only gained views are not.
// Which callbacks are lost, doubled or late is part of W1: it is decided by Seed
// and by what a callback tells of.
package simulator
