# gan-batch alone in an image: no PyTorch, no CUDA. From a checkout:
#
#   docker build --tag gan-batch:0.1.0 .
#
# docs/containers.md says how it runs. EXTRAS are further packages: "scikit-image" for --want, "obstore" for object stores,
# "pyarrow" for --manifest parquet.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG EXTRAS=""
WORKDIR /src
COPY requirements-batch.txt constraints.txt ./
# The package for CPUs alone gives the same images, and is a fifth as large.
RUN sed -i 's/^onnxruntime-gpu/onnxruntime/' requirements-batch.txt constraints.txt \
    && python3 -m venv --without-pip /opt/gan-batch \
    && pip --python /opt/gan-batch/bin/python install --no-cache-dir --requirement requirements-batch.txt ${EXTRAS}
COPY pyproject.toml setup.cfg README.md LICENSE synthetic_defects.py ./
COPY gan gan
COPY export export
COPY jobs jobs
COPY models models
RUN pip --python /opt/gan-batch/bin/python install --no-cache-dir --no-deps .

FROM ${BASE}
LABEL org.opencontainers.image.title="gan-batch" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/gan-batch /opt/gan-batch
ENV PATH=/opt/gan-batch/bin:$PATH ORT_DISABLE_TELEMETRY=1 PYTHONDONTWRITEBYTECODE=1
# Somebody without a name or a home, who may write to this folder alone; so may any other user that it is run as.
RUN mkdir -p /data/models && mkdir -m 1777 /data/synthetic
USER 10001:10001
WORKDIR /data
ENTRYPOINT ["gan-batch"]
CMD ["--help"]
