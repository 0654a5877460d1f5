# The balancer alone: docker build -t roadbalancer . && docker run -p 5000:5000 -e LLM_BACKENDS=… -e ROADBALANCER_API_KEYS=… roadbalancer
# The build runs on the builder's own architecture and publishes for the target's, so that nothing is emulated.
FROM --platform=$BUILDPLATFORM mcr.microsoft.com/dotnet/sdk:10.0 AS build
ARG TARGETARCH
WORKDIR /source
COPY . .
RUN dotnet publish src/Functions --configuration Release --arch ${TARGETARCH:-x64} --os linux --self-contained --output /app

FROM mcr.microsoft.com/dotnet/runtime-deps:10.0
# A configuration is mounted here as config.yaml; what survives a restart is in the folder data below it.
WORKDIR /var/lib/roadbalancer
RUN chown "$APP_UID" /var/lib/roadbalancer
COPY --from=build /app /app
ENV HOST=0.0.0.0 \
    PORT=5000
USER $APP_UID
EXPOSE 5000
VOLUME /var/lib/roadbalancer
# The image has no HTTP client; bash opens the connection itself.
HEALTHCHECK --interval=15s --timeout=3s --start-period=5s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/$PORT && printf 'GET /health HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
# The program lets open streams go on for 30 s; docker stop waits for ten unless it is told --time 45.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/app/Roadbalancer.Functions"]
