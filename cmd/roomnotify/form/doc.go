// Package form writes notifications as each service wants them, and reads its
// answers.
//
// Names of rooms and owners are texts of strangers. What holds for all forms that
// people read:
//
//	F1  no control, bidi or invisible characters; one line; bounded length
//	F2  nothing in them is markup, a link, a tag, or a mention; a link that the operator
//	    wants has a text of its own
//	F3  a message is never longer than the service takes: what does not fit is counted
//	F4  a cover is never fetched or uploaded. Only where the operator wants it, its URL is
//	    given to a service that shows pictures: https, of a host with a public name, bounded, and with
//	    nothing in it that could be markup; a picture that is refused takes no news with it
package form
