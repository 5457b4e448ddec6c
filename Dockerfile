# signalbox with its core compiled: docs/operations.md, "In a container".
#
#   docker build -t signalbox .
#   docker run -p 8400:8400 -v signalbox:/data --env-file signalbox.env signalbox
#
# SQLite in the volume /data unless SIGNALBOX_STORE says otherwise (postgresql://…).

FROM python:3.11-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN python -m venv /opt/signalbox \
    && SIGNALBOX_COMPILE=1 /opt/signalbox/bin/pip install --no-cache-dir . \
    && /opt/signalbox/bin/signalbox version | grep -q 'compiled core'

FROM python:3.11-slim
RUN useradd --system --uid 8400 --home-dir /data signalbox \
    && install --directory --owner=signalbox --mode=0750 /data
COPY --from=build /opt/signalbox /opt/signalbox
ENV PATH=/opt/signalbox/bin:$PATH SIGNALBOX_STORE=sqlite:////data/signalbox.db
USER signalbox
WORKDIR /data
VOLUME /data
EXPOSE 8400
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8400/healthz', timeout=3)"]
ENTRYPOINT ["signalbox"]
CMD ["serve", "--host", "0.0.0.0"]
