#!/bin/bash
# ptxas_report.sh FILE.ptxas...: registers, shared memory and spilled bytes of each kernel, from what ptxas said.
# Fails when a kernel of a file named conv* or dense* spills registers: those live by them.
set -euo pipefail
{
  for file in "$@"; do
    echo "file $(basename "$file" .cu.o.ptxas)"
    cat "$file"
  done
} | c++filt -p | awk '
  # One kernel: its name without return type and namespaces, template arguments kept.
  function short(name) {
    sub(/^void /, "", name)
    gsub(/doppel::|on_cuda::|\(anonymous namespace\)::|testing::/, "", name)
    return length(name) > 64 ? substr(name, 1, 61) "..." : name
  }
  $1 == "file" { file = $2 }
  /Compiling entry function/ {
    split($0, part, "\047")
    kernel = file ": " short(part[2])
    sm = part[4]
    sub(/^sm_/, "", sm)
    if (!(kernel in seen)) { seen[kernel] = 1; order[++kernels] = kernel; of_file[kernel] = file }
    if (!(sm in known)) { known[sm] = 1; sms[++n] = sm }
  }
  /bytes stack frame/ && kernel != "" {
    for (i = 1; i <= NF; ++i) if ($i == "spill") spilled[kernel] += $(i - 2)
  }
  /Used [0-9]+ registers/ && kernel != "" {
    for (i = 1; i <= NF; ++i) {
      if ($i ~ /^registers/) registers[kernel, sm] = $(i - 1)
      if ($i ~ /^smem/ && $(i - 2) > shared[kernel] + 0) shared[kernel] = $(i - 2)
    }
  }
  END {
    heading = ""
    for (i = 1; i <= n; ++i) heading = heading sprintf("%7s", "sm_" sms[i])
    printf "%-80s %s %8s %7s\n", "kernel: registers on", heading, "shared", "spilled"
    for (k = 1; k <= kernels; ++k) {
      kernel = order[k]
      row = ""
      for (i = 1; i <= n; ++i) row = row sprintf("%7s", registers[kernel, sms[i]])
      printf "%-80s %s %8d %7d\n", kernel, row, shared[kernel], spilled[kernel]
      if (spilled[kernel] > 0 && of_file[kernel] ~ /^(conv|dense)/) bad = bad "spills: " kernel "\n"
    }
    fflush()
    printf "%s", bad > "/dev/stderr"
    exit bad != ""
  }'
