// Package cloudflare keeps records at Cloudflare.
package cloudflare
