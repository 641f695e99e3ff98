// Package lease decides which of several roomwatch of one application is the writer.
//
// The claim in the stream makes two writers harmless; the lease makes them rare, and
// lets the second one wait. It is a value of the key-value bucket "roomwatch" under
// lease.<sdkappid>. Who holds it renews it three times in its duration. It has a term,
// one more with each holder, which the holder's claim bears. Each standby announces
// itself under standby.<sdkappid>.<instance>, and renews that as often.
//
// store.go reads and writes both, candidate.go waits for the lease, tenure.go keeps it, end.go gives it back,
// announce.go and standbys.go are the two ends of an announcement, and alive.go tells
// whether a process that the lease names is still there.
//
// The law:
//
//	L1  What is read is what the leader of the bucket says. A write replaces the value
//	    that was read, or nothing. After one that was refused or not answered the value
//	    is read: it is ours if it names this process.
//	L2  A candidate takes the lease of another when it has not changed for the duration
//	    written in it, by looks that were answered one after the other, and when its
//	    own announcement is as old. No clocks of two machines are compared.
//	L3  It takes at once what was given back, and what names the process that wrote its
//	    state file before, if that process is gone when it looks first.
//	L4  A holder that cannot renew, and knew of no standby at its last renewal, goes on:
//	    nobody can take the lease before it has been heard of. One that knew of a
//	    standby stops asking the service after two thirds of the duration, by the larger
//	    of the monotonic and the wall clock: the first stands still while the machine is
//	    suspended.
//	L5  A holder forgets a standby only when it has removed its announcement, so that the
//	    standby has to announce itself anew.
//	L6  A process writes its name into its state file before it writes it into the
//	    lease, so that of two copies of the file one knows that it is not meant.
package lease
