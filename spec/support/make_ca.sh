#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes a test authority and certificates in the folder $1. For loopback tests only; the keys live as long as that folder.
set -eu
cd "${1:?folder}"
umask 077

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

new_ca() { # name, common name
  new_key "$1"
  openssl req -x509 -new -key "$1.key" -subj "/CN=$2" -days 30 -out "$1.pem" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null
  : >"$1.index"
  echo 01 >"$1.serial"
  cat >"$1.conf" <<CONF
[ca]
default_ca = this
[this]
database = $1.index
serial = $1.serial
new_certs_dir = .
certificate = $1.pem
private_key = $1.key
default_md = sha256
default_days = 20
policy = any
unique_subject = no
[any]
commonName = supplied
CONF
}

issue() { # ca, name, extensions, further arguments of openssl ca
  ca=$1; name=$2
  printf '%s\n' "$3" >"$name.ext"
  shift 3
  new_key "$name"
  openssl req -new -key "$name.key" -subj "/CN=$name" -out "$name.csr"
  openssl ca -batch -notext -config "$ca.conf" -in "$name.csr" -out "$name.pem" -extfile "$name.ext" "$@" 2>/dev/null
}

here='subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1'
new_ca ca 'healthauth test authority'
new_ca other 'another test authority'
issue ca good "$here"
issue ca expired "$here" -startdate 20200101000000Z -enddate 20200201000000Z
issue ca future "$here" -startdate 20450101000000Z -enddate 20450201000000Z
issue ca wrong_host 'subjectAltName = DNS:elsewhere.example'
issue other other_ca "$here"
issue ca client 'extendedKeyUsage = clientAuth'
new_key self_signed
openssl req -x509 -new -key self_signed.key -subj /CN=localhost -days 20 -addext "$here" -out self_signed.pem 2>/dev/null
openssl ec -in client.key -aes128 -passout pass:key-password -out client_locked.key 2>/dev/null
mkdir ca_path
cp ca.pem "ca_path/$(openssl x509 -in ca.pem -noout -hash).0"
echo 'not a certificate' >garbage.pem
