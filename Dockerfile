# Lanner in a container: Debian slim, Python, and the libraries that the probe is compiled and loaded
# with. Works with a read-only root; what it writes lies below /run/lanner, /var/cache/lanner and /tmp.
#
#   docker build -t lanner .
#   docker run --pid=host --network=host --read-only --tmpfs /tmp --tmpfs /run/lanner \
#     --tmpfs /var/cache/lanner --cap-drop ALL --cap-add BPF --cap-add PERFMON --cap-add SYS_PTRACE \
#     --cap-add DAC_READ_SEARCH --security-opt apparmor=unconfined lanner
ARG BASE=debian:12-slim

FROM ${BASE} AS build
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv > /dev/null
WORKDIR /src
COPY .ci/requirements.lock .ci/
RUN python3 -m venv /opt/lanner \
 && /opt/lanner/bin/pip install --quiet --no-cache-dir --require-hashes -r .ci/requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY bpf bpf
COPY exporter exporter
# What only builds the package stays behind, as do tests and type stubs that packages carry.
RUN /opt/lanner/bin/pip install --quiet --no-cache-dir --no-deps --no-build-isolation . \
 && /opt/lanner/bin/pip uninstall --quiet --yes hatchling editables pathspec pluggy trove-classifiers setuptools pip \
 && find /opt/lanner \( -name tests -o -name '*.pyi' -o -name '*.c' -path '*/site-packages/grpc*' \) -prune -exec rm -rf {} + \
 && /opt/lanner/bin/python -m compileall -q /opt/lanner/lib

FROM ${BASE}
# libbpfcc brings clang and LLVM, which only the short-lived compiler process maps. bcc's
# Python module is not needed.
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      ca-certificates libbpfcc python3 > /dev/null \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /usr/share/doc /usr/share/man \
 && mkdir -p /run/lanner /var/cache/lanner /etc/lanner
COPY --from=build /opt/lanner /opt/lanner
ENV PATH=/opt/lanner/bin:$PATH \
    CACHE_DIRECTORY=/var/cache \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
EXPOSE 9376
VOLUME ["/run/lanner", "/var/cache/lanner"]
# Asks this machine's port 9376, in clear and then encrypted. Where clients need certificates, or
# http.listen is another address, give a check of your own (--health-cmd).
HEALTHCHECK --interval=60s --timeout=10s --start-period=30s \
  CMD ["python3", "-S", "-c", "import ssl\nfrom http.client import *\n\ndef ask(c):\n  try:\n    c.request('GET', '/healthz')\n    return c.getresponse().status == 200\n  except (OSError, HTTPException):\n    return False\n\nplace = dict(host='127.0.0.1', port=9376, timeout=4)\nraise SystemExit(not (ask(HTTPConnection(**place)) or ask(HTTPSConnection(**place, context=ssl._create_unverified_context()))))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["lanner"]
CMD ["run"]
