# The MCP server over stdio, as whoever owns the folder for the files:
#   docker run -i --rm --user "$(id -u):$(id -g)" -e GEMINI_API_KEY -v "$PWD:/data" -v mediagen-state:/state mediagen
# Keep /state: it is the ledger of what was paid for, and open jobs are collected from it.

FROM python:3.13-slim AS build
WORKDIR /source
RUN python -m venv /opt/mediagen
COPY requirements/runtime.txt requirements/runtime.txt
# Without the check of hashes, the index would decide what is installed.
RUN /opt/mediagen/bin/pip install --no-cache-dir --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY src src
RUN /opt/mediagen/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
LABEL io.modelcontextprotocol.server.name="io.github.mediagen-mcp/mediagen-mcp" \
      org.opencontainers.image.title="mediagen" \
      org.opencontainers.image.licenses="Apache-2.0"
# A new volume takes over the mode, so that it can be written to whatever --user says.
RUN useradd --create-home --uid 10001 mediagen \
    && install --directory --owner mediagen --group mediagen --mode 1777 /data /state
COPY --from=build /opt/mediagen /opt/mediagen
ENV PATH=/opt/mediagen/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MEDIAGEN_OUTPUT_DIR=/data \
    MEDIAGEN_STATE_DIR=/state
USER 10001
WORKDIR /data
VOLUME ["/data", "/state"]
ENTRYPOINT ["mediagen"]
CMD ["serve"]
