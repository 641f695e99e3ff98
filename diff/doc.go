// Package diff turns looks at the list of live rooms into events.
//
// It is the vocabulary of the whole program: [Room], [Page], [Sweep] and
// [Event] are defined here and nowhere else, and every decision about them is
// made here: what the sight of a room means against what was known of it
// ([Policy.See]), and which absences are believed ([Policy.Judge]).
//
// The package does no I/O, starts no goroutine and reads no clock. Every other
// package may import it; it imports only the standard library.
//
// The law it keeps: presence is believed at once, absence only from complete
// sweeps, and a life that was told as over is not brought back by an older look.
// The list is ordered by view counts that grow while it is read, so a
// room can be on two pages of one sweep, and a room that is live can be on none.
package diff
