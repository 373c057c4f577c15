# etcd as its makers release it, checked against their checksums.

FROM debian:stable-slim
ARG ETCD_VERSION=3.6.16
ARG TARGETARCH=amd64
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl \
    && cd /tmp \
    && release="https://github.com/etcd-io/etcd/releases/download/v${ETCD_VERSION}" \
    && archive="etcd-v${ETCD_VERSION}-linux-${TARGETARCH}.tar.gz" \
    && curl --fail --location --silent --show-error --remote-name "$release/$archive" --remote-name "$release/SHA256SUMS" \
    && grep " $archive\$" SHA256SUMS | sha256sum --check --strict \
    && tar --extract --file "$archive" --strip-components=1 --directory /usr/local/bin --no-same-owner \
        --wildcards '*/etcd' '*/etcdctl' \
    && apt-get purge --yes --auto-remove curl \
    && rm -rf /tmp/* /var/lib/apt/lists/*
RUN useradd --system --uid 10002 --no-create-home etcd && install --directory --owner=etcd --mode=700 /data
USER 10002
VOLUME /data
ENTRYPOINT ["etcd"]
