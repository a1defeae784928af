# An image with the two static binaries and nothing else: no shell, no git, not root.
#
#     docker build -t reconciler .
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

FROM scratch
COPY --from=build /root-fs/ /
COPY --from=build /out/ /usr/local/bin/
USER 65532:65532
VOLUME /var/lib/reconciler
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/reconciler"]
CMD ["run", "--config", "/etc/reconciler/reconciler.yaml"]
