#!/bin/sh
# acumen-healthy: the health check of the image. It fails if the device that the container was given cannot be used.
# It asks the driver which GPUs there are and no more: it makes no context, takes no memory of a GPU and loads no cuBLAS,
# so that a run beside it does not notice. A GPU that is lost shows here as an error of cuInit.
#   ACUMEN_DEVICE=cuda:N    that GPU must be usable
#   ACUMEN_DEVICE=cpu       no GPU is asked for
#   otherwise               cuda:0, which is what auto takes, must be usable, if the container has a device node of the
#                           driver
set -u

case ${ACUMEN_DEVICE:-auto} in
auto)
  want=auto
  for node in /dev/nvidiactl /dev/nvidia[0-9]* /dev/dxg; do
    if [ -e "$node" ]; then want=cuda; fi
  done
  ;;
*) want=$ACUMEN_DEVICE ;;
esac

# A driver whose GPU hangs may not answer; the time is less than the --timeout of HEALTHCHECK.
ACUMEN_CUBLAS=none timeout 15 acumen devices "$want" || {
  status=$?
  echo "no usable device $want: acumen devices ended with status $status (124: no answer in 15 s)"
  exit 1
}
