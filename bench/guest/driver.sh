#!/bin/sh
# Runs the programs of a list, one after another, and marks on the console where each begins and
# ends: driver.sh FOLDER, which holds `programs`, `busybox` and `list` (lines "NAME SIZE"). Run by
# busybox in an empty folder, in a guest or on the host. What is prepared and checked does not
# count. At last it says which mitigations of processors' flaws the kernel has chosen.
folder=$1
busybox=$folder/busybox

prepare() {
  case $1 in
    gzip | gunzip) [ -f text ] || "$folder/programs" text 1024 >text 2>/dev/null ;;
  esac
  case $1 in
    gunzip) [ -f packed ] || "$busybox" gzip -c <text >packed ;;
  esac
}

run() {
  i=0
  case $1 in
    gzip)
      while [ $i -lt "$2" ]; do
        "$busybox" gzip -c <text >packed || return
        i=$((i + 1))
      done
      ;;
    gunzip)
      while [ $i -lt "$2" ]; do
        "$busybox" gunzip -c <packed >unpacked || return
        i=$((i + 1))
      done
      ;;
    shell)
      x=1 sevens=0
      while [ $i -lt "$2" ]; do
        x=$(((x * 1103515245 + 12345) & 2147483647))
        case $x in
          *7) sevens=$((sevens + 1)) ;;
        esac
        i=$((i + 1))
      done
      echo "$x-$sevens"
      ;;
    spawn)
      ended=0
      while [ $i -lt "$2" ]; do
        "$busybox" true && ended=$((ended + 1))
        i=$((i + 1))
      done
      echo "$ended"
      ;;
    *) "$folder/programs" "$1" "$2" ;;
  esac
}

check() {
  case $1 in
    gzip) "$busybox" md5sum <packed ;;
    gunzip) "$busybox" md5sum <unpacked ;;
    *) read -r result <result && echo "$result" ;;
  esac
}


while read -r name size; do
  prepare "$name"
  echo "@begin $name"
  run "$name" "$size" >result </dev/null || {
    echo "@fail $name $?"
    exit 1
  }
  echo "@end $name"
  set -- $(check "$name")
  echo "@sum $name $1"
done <"$folder/list"
for flaw in /sys/devices/system/cpu/vulnerabilities/*; do
  read -r text <"$flaw" && echo "@mitigation ${flaw##*/} $text"
done
echo '@done'
