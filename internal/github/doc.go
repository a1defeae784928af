// Package github speaks with GitHub.
//
// So far it holds one piece: Hook, which says whether a request that claims to be a
// webhook delivery is one. A delivery is a hint to look at the repository, no more: nothing
// in it is believed, and what GitHub says of a commit is never applied from here.
//
// It promises: whoever does not know the secret gets nothing read but bytes; the signature
// is compared in constant time, over the bytes as they came, before they are parsed; a body
// is bounded by MaxPayload; two secrets hold while one is changed for another.
//
// It refuses: SHA-1 signatures, forms, a request with two values of a header that decides,
// a secret that is empty or can be guessed, and anything but POST. An error repeats nothing
// of the request.
package github
