// Package webhook receives the vendor's callbacks: what the service calls when a room
// is created, destroyed or updated. A callback is a hint, not news: its body is not
// signed, it may come late, twice or never, so it only says of which room to ask.
//
// Sources: https://trtc.io/document/64412 (commands), https://trtc.io/document/69528
// (signature).
package webhook
