#!/bin/bash
# ptxas_report.sh STRICT TABLE FILE.ptxas...: registers, shared memory and spilled bytes of each kernel, from what ptxas said;
# the same to TABLE, a line of tab-separated fields (kernel, architecture, registers, static shared memory, spilled
# bytes) for each kernel and architecture.
# Says when a kernel of a file named conv* or dense* spills registers: those live by them; and when ptxas lost
# performance that it knows of, as where it puts wgmma one after the other; and when a conv2d_wgmma kernel does not have
# the registers that its warpgroups count on (conv2d_wgmma_tile.h). Then fails, if STRICT is 1.
set -euo pipefail
strict=$1 table=$2
shift 2
{
  for file in "$@"; do
    echo "file $(basename "$file" .cu.o.ptxas)"
    cat "$file"
  done
} | c++filt -p | awk -v strict="$strict" -v table="$table" '
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
    for (i = 1; i <= NF; ++i) if ($i == "spill") { spilled[kernel] += $(i - 2); spilled_on[kernel, sm] += $(i - 2) }
  }
  /Potential Performance Loss/ { bad = bad file ": " $0 "\n" }
  /Used [0-9]+ registers/ && kernel != "" {
    for (i = 1; i <= NF; ++i) {
      if ($i ~ /^registers/) registers[kernel, sm] = $(i - 1)
      # 56 + 2 * 224 = 3 * 168: with fewer the last warpgroup would wait for ever.
      if ($i ~ /^registers/ && file ~ /^conv2d_wgmma/ && $(i - 1) != 168)
        bad = bad "has " $(i - 1) " registers and not 168: " kernel "\n"
      if ($i ~ /^smem/) {
        shared_on[kernel, sm] = $(i - 2)
        if ($(i - 2) > shared[kernel] + 0) shared[kernel] = $(i - 2)
      }
    }
  }
  END {
    printf "" > table
    for (k = 1; k <= kernels; ++k)
      for (i = 1; i <= n; ++i) {
        at = order[k] SUBSEP sms[i]
        if (at in registers)
          printf "%s\t%s\t%d\t%d\t%d\n", order[k], sms[i], registers[at], shared_on[at], spilled_on[at] > table
      }
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
    exit strict && bad != ""
  }'
