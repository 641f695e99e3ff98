// Package trail keeps an audit trail: an append-only record of the messages of
// a stream, in files of JSON lines of which each proves the one before.
//
// A directory is one trail. Its files are numbered from 1 and named after the UTC
// day on which they were begun, by the clock of the recorder; all but the newest are
// sealed and compressed. What a message says of its time changes no file:
//
//	audit-00000001-2026-11-23.jsonl.gz
//	audit-00000002-2026-11-24.jsonl
//	audit-00000001-2026-11-23.idx       what a search may find in it: see index.go
//	trail.json                          which trail it is: see label.go
//
// Every line is a JSON object:
//
//	{"line":7,"kind":"event", …, "previous":"<hash of line 6>","hash":"<hash of this line>"}
//
//	begin   the first of a file: "file" its number, "trail" the id of the trail,
//	        "stream" where the record stands: name, created, last sequence number; with
//	        a "reason" the file before was not there when it was begun
//	stream  from here on the messages are those of another stream, or of one
//	        that was cut: "stream" as above, "reason"
//	event   "seq", "stored" (when the stream took it), "subject", "event" byte for byte
//	claim   the same, of an event that says which roomwatch writes from here on
//	watch   the same, of what tells of the watch itself: the pulse, and times in which
//	        nobody watched
//	other   a message that is none of these: "raw" in base64, "reason"
//	gap     the messages "from" … "to" were gone before they were read
//	removed the files up to number "file", whose last line was "to" with hash "last",
//	        were removed because of their age
//	copied  the command of the operator has taken file number "file", whose last line
//	        is "to" with hash "last"
//	end     the last of a sealed file; with a key also "key" and "signature"
//
// What holds:
//
//	T1  "line" counts 1, 2, 3 … through all files.
//	T2  "hash" is the SHA-256 of the line's bytes before `,"hash"`; "previous" is
//	    the "hash" of the line before, and 64 zeros in line 1.
//	T3  "signature" is Ed25519, in base64, over the line's bytes before `,"signature"`.
//	T4  Sequence numbers follow each other, except over a gap or a stream line.
//	T5  A line is acknowledged only after it is on disk; bytes after the last
//	    line that was acknowledged may be cut off.
//
// The chain shows what was changed, taken out, put in or moved. It does not show
// that someone has written all lines from one on anew: for that the seals are
// signed, and the hash of a line can be kept somewhere else.
package trail
