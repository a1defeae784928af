// Package manifest reads what a client asks for.
package manifest
