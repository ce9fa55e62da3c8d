# The front door: nginx with the same configuration as in the local stack, filled in for containers.
ARG BASE_IMAGE=python:3.11-slim-bookworm
ARG NGINX_IMAGE=nginx:1.29

FROM ${BASE_IMAGE} AS configuration
WORKDIR /src
COPY deploy/nginx deploy/nginx
COPY services/_cli/sage_cli/front_door.py services/_cli/sage_cli/
RUN python3 services/_cli/sage_cli/front_door.py > /nginx.conf

FROM ${NGINX_IMAGE}
COPY --from=configuration /nginx.conf /etc/nginx/nginx.conf
# The unprivileged `nginx` of the public image.
USER 101:101
EXPOSE 8000
# QUIT lets open streams end; TERM would cut them.
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=6 \
    CMD ["curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:8000/health"]
CMD ["nginx", "-g", "daemon off;"]
