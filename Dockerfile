# The relay as a container.
#
#   docker build -t clawchat .
#   docker run -d --name relay --network host --ulimit memlock=-1 \
#       --security-opt seccomp=packaging/seccomp-io_uring.json \
#       -v clawchat:/var/lib/clawchat clawchat --server.public_ip=ADDRESS
#
# The relay's UDP port changes by schedule, so it takes the host's network and the image exposes
# none. Behind a port mapping it needs one that stays:
#
#       -p 40000:40000/udp ... --rotation.mode=fixed --rotation.fixed_port=40000
#
# Without the seccomp profile it runs on epoll: Docker's own refuses io_uring.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS build
WORKDIR /src
COPY tools/install-deps tools/
RUN tools/install-deps build
COPY . .
RUN cmake -S . -B /build -G Ninja && ninja -C /build clawchatd clawchatctl

FROM ${BASE}
COPY tools/install-deps /tmp/
# The numbers are fixed: volumes keep their owner from one image to the next.
RUN /tmp/install-deps runtime && rm -rf /tmp/install-deps /var/lib/apt/lists/* && \
    groupadd --gid 64100 clawchat && \
    useradd --uid 64100 --gid 64100 --home-dir /var/lib/clawchat --no-create-home \
        -K UID_MAX=64999 --shell /usr/sbin/nologin clawchat && \
    install -d -o clawchat -g clawchat -m 0700 /var/lib/clawchat /run/clawchat
COPY --from=build /build/tools/clawchatd /build/tools/clawchatctl /usr/local/bin/
USER 64100:64100
VOLUME /var/lib/clawchat
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["clawchatctl", "status"]
ENTRYPOINT ["clawchatd"]
