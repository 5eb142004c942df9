#!/usr/bin/env bash
# Repeats the tests of numbers as on other kinds of processor: the libraries are limited to their instructions, and fp32
# products go to the library that makes them there. For jobs/test.sh, which has passed all tests on the processor as it is;
# needs the build. Skips kinds whose instructions the processor lacks, and the processor's own kind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

kinds=(   # older first; the library of products as in src/model/products.cpp
    # flag in /proc/cpuinfo, such processors   ATEN_CPU_CAPABILITY  MKL_ENABLE_INSTRUCTIONS  ONEDNN_MAX_CPU_ISA  products
    "avx2         Haswell,Zen_3                avx2                 AVX2                     AVX2                blas"
    "avx512f      Skylake-SP,Ice_Lake-SP       avx512               AVX512                   AVX512_CORE         blas"
    "avx512_bf16  Zen_4,Zen_5                  avx512               AVX512                   AVX512_CORE_BF16    onednn"
    "amx_bf16     Sapphire_Rapids              avx512               AVX512                   AVX512_CORE_AMX     blas"
)

preset=${MOESWEEP_PRESET:-cpu}
build=$PWD/build/$preset
export OMP_NUM_THREADS=1

has() { grep -qwm1 "$1" /proc/cpuinfo; }

own_products=blas
if has avx512f && ! has GenuineIntel; then own_products=onednn; fi
own=
for kind in "${kinds[@]}"; do
    read -r flag _ _ _ _ products <<<"$kind"
    if has "$flag" && [[ $products == "$own_products" ]]; then own=$flag; fi
done

failed=0
for kind in "${kinds[@]}"; do
    read -r flag such aten mkl onednn products <<<"$kind"
    if ! has "$flag"; then
        echo "numerics: $flag ($such): left out, this processor lacks it"
    elif [[ $flag == "$own" ]]; then
        echo "numerics: $flag ($such): this processor's own kind"
    else
        echo "numerics: $flag ($such), products by $products"
        export ATEN_CPU_CAPABILITY=$aten MKL_ENABLE_INSTRUCTIONS=$mkl ONEDNN_MAX_CPU_ISA=$onednn
        programs=$build
        [[ $products == blas ]] || programs=$build/$products
        .venv/bin/ctest --preset "$preset" \
            -R '^(model|decode|decode_groups_2|sweep_pass|pass_on_device|expert_groups_2)$' || failed=1
        MOESWEEP_BUILD=$programs .venv/bin/pytest -q -m numerics tests/oracle || failed=1
    fi
done
exit $failed
