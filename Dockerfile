# An image with the two static binaries and nothing else: no shell, no git, not root. The target
# postgres has what moves and dumps of PostgreSQL databases take beside them: pg_dump and
# pg_restore of 16, for servers from 13 to 16, and of 18, for 17 and 18.
#
#     docker build -t reconciler .
#     docker build -t reconciler:postgres --target postgres .
#     docker run --read-only --tmpfs /tmp -v ./reconciler.yaml:/etc/reconciler/reconciler.yaml:ro -v reconciler:/var/lib/reconciler reconciler
#
# CI does not build it yet, and the base is pinned by version only, not by digest.
# In a container `listen` has to be 0.0.0.0:8080 for sites, /healthz and /readyz to be reached
# from outside. The page and the API answer only the container itself; ask with
# `docker exec NAME reconciler status --config /etc/reconciler/reconciler.yaml`.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=0.1.0-dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/ ./cmd/...
# What the binaries read beside their own files: roots of trust and an empty /tmp.
# Time zones are in the binary.
RUN mkdir -p /root-fs/etc/ssl/certs /root-fs/tmp /root-fs/var/lib/reconciler /root-fs/etc/reconciler \
 && cp /etc/ssl/certs/ca-certificates.crt /root-fs/etc/ssl/certs/ \
 && chmod 1777 /root-fs/tmp && chmod 700 /root-fs/var/lib/reconciler && chown 65532:65532 /root-fs/var/lib/reconciler

# Two versions: pg_dump takes no newer server than itself, and what is newer than 16 loads nothing
# into an older one. The program takes the oldest that suits a server.
FROM alpine:3.23 AS postgres
RUN apk add --no-cache postgresql16-client postgresql18-client \
 && for v in 16 18; do for p in pg_dump pg_restore; do "/usr/libexec/postgresql$v/$p" --version; done; done
COPY --from=build /root-fs/var/lib/reconciler /var/lib/reconciler
COPY --from=build /root-fs/etc/reconciler /etc/reconciler
COPY --from=build /root-fs/etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/ /usr/local/bin/
RUN chown 65532:65532 /var/lib/reconciler && chmod 700 /var/lib/reconciler
USER 65532:65532
VOLUME /var/lib/reconciler
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/reconciler"]
CMD ["run", "--config", "/etc/reconciler/reconciler.yaml"]

FROM scratch
COPY --from=build /root-fs/ /
COPY --from=build /out/ /usr/local/bin/
USER 65532:65532
VOLUME /var/lib/reconciler
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/reconciler"]
CMD ["run", "--config", "/etc/reconciler/reconciler.yaml"]
