# pilotfish in a container: as nobody in particular, on a root that can be read-only, with /data to keep things in.
#   docker build -t pilotfish .
#   docker run -p 127.0.0.1:8080:8080 -v pilotfish:/data --env-file .env pilotfish
# It listens on all addresses inside, so .env needs ADMIN_TOKEN and VIEW_TOKEN.
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/pilotfish
COPY requirements.lock ./
RUN /opt/pilotfish/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes \
    -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN /opt/pilotfish/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation . \
 && /opt/pilotfish/bin/python -m pip uninstall --yes hatchling editables

FROM python:3.13-slim
RUN useradd --system --uid 10001 --user-group --home-dir /data --create-home pilotfish \
 && install --directory --owner=pilotfish --group=pilotfish --mode=0700 /history
COPY --from=build /opt/pilotfish /opt/pilotfish
ENV PATH=/opt/pilotfish/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    XDG_DATA_HOME=/data \
    WEB_HOST=0.0.0.0 \
    LOG_FORMAT=json
USER 10001:10001
WORKDIR /data
VOLUME ["/data", "/history"]
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 CMD ["pilotfish", "status", "--json"]
ENTRYPOINT ["pilotfish"]
CMD ["run"]
