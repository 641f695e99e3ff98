// Package form writes notifications as each service wants them, and reads its
// answers.
//
// Names of rooms and owners are texts of strangers. What holds for all forms that
// people read:
//
//	F1  no control, bidi or invisible characters; one line; bounded length
//	F2  nothing in them is markup, a link, a tag, or a mention
//	F3  a message is never longer than the service takes: what does not fit is counted
//	F4  a cover is never fetched or shown: its URL is in the generic form alone
package form
