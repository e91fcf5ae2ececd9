// A shell script of some thirty tools over data that it makes itself, the same on each machine:
// checksums, sorting, text, numbers, archives. Each section begins with a line "== NAME".

export const TOOLS_SCRIPT = `
export LC_ALL=C TZ=UTC
cd "$(mktemp -d)"
section() { echo "== $1"; }

section data
awk 'BEGIN {
  x = 12345
  for (i = 0; i < 1000; i++) {
    x = (x * 16807) % 2147483647
    printf "%d %s%d %.4f\\n", x % 10000, substr("kernelramdiskxenstoregranttable", x % 24 + 1, 6), i, x / 977
  }
}' >data
wc data

section checksums
md5sum data; sha1sum data; sha256sum data; sha512sum data; sha3sum data; crc32 data

section sort
sort data | md5sum; sort -n data | md5sum; sort -k2,2 data | sha1sum; sort -k3,3nr data | head -n 5
cut -d' ' -f1 data | sort -n | uniq -c | sort -rn -k1,1 -k2,2 | head -n 5

section awk
awk '{ s += $3; q += $3 * $3; n++ } END { printf "%.10g %.10g %.6f\\n", s, q, q / n - s / n * s / n }' data
awk 'BEGIN { for (i = 1; i <= 20; i++) { x = 1; for (j = 0; j < 30; j++) x = (x + i / x) / 2; printf "%.12f %.12e\\n", x, x / 3e9 } }'
awk 'BEGIN { for (i = -5; i <= 5; i++) print i / 3, int(i * 1.7), i % 3, i * 1e300, i / 1e300 }'
awk '{ c[substr($2, 1, 3)]++ } END { for (k in c) print k, c[k] }' data | sort

section sed
sed -n 's/^\\([0-9]*\\) \\([a-z]*\\)\\([0-9]*\\) /\\3:\\2:\\1 /p' data | md5sum
sed '2,$d; s/[aeiou]/<&>/g' data
sed -e '/^[1-4]/d' -e 'y/abc/xyz/' data | tail -n 3

section grep
grep -c 'ram' data; grep -E '^(1|22)[0-9]+ [kx]' data | md5sum; grep -vn '[0-8]$' data | head -n 3
tr 'a-z' 'A-Z' <data | tr -s '0-9' | md5sum

section compression
for packer in gzip bzip2; do
  $packer -c data >data.packed
  $packer -dc data.packed | cmp - data && echo "$packer round trip"
  md5sum <data.packed
done
gzip -9c data | gunzip -c | sha256sum

section archives
mkdir -p tree/a/b tree/c
head -n 500 data >tree/a/part
cp data tree/a/b/copy; ln -s ../a tree/c/link
tar cf tree.tar tree && tar tf tree.tar | sort
mkdir out && tar xf tree.tar -C out && diff -r tree out/tree && echo same
find tree -type f | sort | xargs md5sum
find tree -type f -size +20k | sort | xargs -n 1 basename
(cd tree && find . -type f | sort | cpio -o -H newc 2>/dev/null | cpio -t 2>/dev/null)

section octal
head -c 64 data | od -A x -t x1; head -c 40 data | od -t d4; head -c 48 data | hexdump -C
head -c 300 data | base64; head -c 100 data | uuencode name | md5sum; head -c 90 data | xxd

section numbers
factor 2147483647 1000000007 4294967297 999999999989
expr 123456789 '*' 987654321 % 1000003; expr 'xenstore/domain' : '.*/\\(.*\\)'
printf '%f %e %g %.15f %x %o\\n' 3.14159265358979 6.02214076e23 1e-7 0.1 3735928559 511
printf '%s|%5d|%-8s|%08.3f\\n' a 42 left 2.71828
echo $((0x7fffffffffffffff)) $((1 << 62)) $((-7 / 2)) $((-7 % 3)) $(((123 ^ 456) & ~7))
seq 1 3 40000 | wc; seq 5000 | awk '{ s += $1 * $1 } END { print s }'; seq -w 8 11 | tac
echo '2 3 ^ 100 7 % + p 5 k 22 7 / p 2 v p' | dc
echo 's(1); c(2); e(3); l(4); a(5)' | bc -l
echo 'scale=30; 355/113; 2^200; sqrt(2); a=0; for (i=1;i<50;i++) a+=1/i; a' | bc

section text
fold -w 30 data | head -n 5; head -n 5 data | rev; head -n 20 data | nl | tail -n 2
paste -d, data data | cut -d, -f2 | md5sum; expand data | cmp - data && echo expanded
head -n 200 data >one; sed '50s/^/x/; 120d' one >two; diff one two; diff -u one two >patch
patch one patch >/dev/null && cmp one two && echo patched
shuf -i 1-9 -n 9 | sort | tr -d '\\n'; echo; strings -n 8 data | md5sum
date -d '2026-01-01 00:00:00' +'%s %A %j'; date -u -d @1767225600 +%FT%TZ; cal 2 2028

section processes
i=0; while [ $i -lt 30 ]; do (echo $i; exit $((i % 3))) & i=$((i + 1)); done | sort -n | tr '\\n' ' '; wait
yes xen | head -n 20000 | md5sum; dd if=/dev/zero bs=4096 count=64 2>/dev/null | sha256sum
case $(uname -m) in x86_64) echo 64 bits ;; esac
echo "== end"
`
