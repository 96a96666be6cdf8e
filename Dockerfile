# syntax=docker/dockerfile:1.7

# One static binary and nothing around it. docs/image.md says why it is built like this. `scripts/image` runs the lines below
# without an engine, so they name no absolute path, and do no harm when they are run again.

ARG RUST=1.95.0
ARG DEBIAN=bookworm

# What both platforms need. The compiler always runs on the machine that builds, and compiles for the other one if it has to.
FROM --platform=$BUILDPLATFORM rust:${RUST}-slim-${DEBIAN} AS crates
# It writes into the binary which crates are in it: what scanners and `--sbom` read.
RUN cargo install cargo-auditable --version 0.7.7 --locked
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
# From here on nothing comes from the network but what compiles for the other platform.
RUN cargo fetch --locked --target x86_64-unknown-linux-gnu --target aarch64-unknown-linux-gnu

FROM crates AS build-amd64
ENV CARGO_BUILD_TARGET=x86_64-unknown-linux-gnu CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc
RUN command -v x86_64-linux-gnu-gcc || { apt-get update && apt-get install --yes --no-install-recommends gcc-x86-64-linux-gnu libc6-dev-amd64-cross; }

FROM crates AS build-arm64
ENV CARGO_BUILD_TARGET=aarch64-unknown-linux-gnu CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
RUN command -v aarch64-linux-gnu-gcc || { apt-get update && apt-get install --yes --no-install-recommends gcc-aarch64-linux-gnu libc6-dev-arm64-cross; }

FROM build-${TARGETARCH} AS build
# Since the target is always named, these flags are for what runs there, and not for build scripts and macros, which run here.
ENV RUSTFLAGS="-C target-feature=+crt-static"
RUN rustup target add "$CARGO_BUILD_TARGET"
# The dependencies alone, as a layer that stands until Cargo.lock changes. What was made of the empty sources is taken away
# again: the real ones may be older than it, and cargo goes by that.
RUN --network=none mkdir -p src && : >src/lib.rs && echo 'fn main() {}' >src/main.rs \
    && cargo build --offline --locked --profile dist --bin sidegate \
    && cargo clean --offline --locked --profile dist --package sidegate
COPY LICENSE prices.yaml ./
COPY docs/admin.openapi.json docs/
COPY src src
RUN --network=none cargo auditable build --offline --locked --profile dist --bin sidegate
RUN --network=none install -D "target/$CARGO_BUILD_TARGET/dist/sidegate" image/sidegate && install -D --mode=644 LICENSE image/LICENSE

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sidegate" \
      org.opencontainers.image.description="A sidecar reverse proxy in front of AI providers" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /source/image/ /
# Here `proxy.yaml` is found without a flag, by the process and by its probes.
WORKDIR /etc/sidegate
# Nobody that any machine knows; a number, so that Kubernetes can tell that it is not root.
USER 65532:65532
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
# With its address, so that a config edited wrongly, which leaves the last good one serving, turns no probe red.
HEALTHCHECK --interval=10s --timeout=4s --start-period=10s --retries=3 CMD ["/sidegate", "health", "--address", "127.0.0.1:8081"]
ENTRYPOINT ["/sidegate"]
