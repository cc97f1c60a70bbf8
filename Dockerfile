# One function as a container, for Knative and Kubernetes; Cloud Run functions do without.
#
#     scripts/bundle proxy
#     docker build --build-arg FUNCTION=proxy --tag proxy .
#
# The builder is sent the zips in dist/ and nothing else (.dockerignore). They hold neither settings
# nor keys: these are the container's environment.

FROM python:3.11-slim-bookworm AS built
ARG FUNCTION
COPY dist/${FUNCTION}-*.zip /bundle.zip
RUN python -m zipfile -e /bundle.zip /function
RUN python -m venv /packages
RUN /packages/bin/python -m pip install --no-input --disable-pip-version-check --only-binary :all: --require-hashes --requirement /function/requirements.txt
RUN /packages/bin/python -m compileall -q --invalidation-mode unchecked-hash /function

FROM python:3.11-slim-bookworm
ARG FUNCTION
COPY --from=built /packages /packages
COPY --from=built /function /function
WORKDIR /function
# K_SERVICE, which Cloud Run and Knative set themselves, says that this is no laptop: an engine that
# is not named stops the start. The server's socket of control goes where anybody may write.
ENV K_SERVICE=${FUNCTION} FUNCTION_TARGET=${FUNCTION} PORT=8080 LOG_EXECUTION_ID=false XDG_RUNTIME_DIR=/tmp
EXPOSE 8080
USER 65532:65532
CMD ["/packages/bin/functions-framework"]
