# The one binary, small and without root. `docker build -t tally .`
FROM rust:1.95.0-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# the caches outlive the layer, so that a small change builds quickly
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p tally && \
    cp target/release/tally /usr/local/bin/tally && \
    strip /usr/local/bin/tally

FROM debian:bookworm-20260824-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* && \
    useradd --system --uid 10001 --home-dir /var/lib/tally --create-home --shell /usr/sbin/nologin tally
COPY --from=build /usr/local/bin/tally /usr/local/bin/tally
USER 10001
WORKDIR /var/lib/tally
ENV TALLY_HTTP__LISTEN=0.0.0.0:8085
EXPOSE 8085
HEALTHCHECK --interval=10s --timeout=6s --start-period=90s --retries=3 CMD ["tally", "healthcheck"]
ENTRYPOINT ["tally"]
CMD ["--help"]
