// Package rules reads the rule file of roomnotify, and decides which events
// become notifications for whom.
//
// It does no I/O but to read the files that the rule file names, and is given
// the time, so equal arguments give equal results.
package rules
