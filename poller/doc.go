// Package poller reads the list of live rooms of one application again and
// again and hands each page to a [Sink] as it arrives.
//
// It is the source of the pipeline: one request (signature, quota, error class,
// retry), the service's wire format, the sweep from the first page to the empty
// Next, and the schedule. It knows nothing of what becomes of a page, and of
// this module it imports only diff.
//
// What it promises:
//
//  1. A sweep is Complete only if the service itself ended the list: the last
//     answer held a Next and it was empty, and every row of every page was
//     understood. Whatever else happens is an error and proves no absence.
//  2. The requests of the sweep go out one after the other, probes beside them, and never
//     more than ten of all of them reach the service in any second (see quota for the proof
//     and its limit).
//  3. No error, log line or metric holds a UserSig or a secret key.
//
// The way of a page: client.go asks → wire.go decodes → fetch.go retries → sweep.go puts
// the pages in a row and hands each to the Sink → poller.go decides when the next
// sweep begins. Each complete sweep leaves its pages as places (visit.go, places.go), which
// prober.go reads again. Point reads go from proposals.go (what is next) by reader.go.
//
// Each file has one subject: wire.go and wireinfo.go are the only places that know
// the JSON of the API, errorcode.go the only one that knows its error codes.
package poller
