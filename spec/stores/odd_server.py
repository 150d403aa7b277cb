# SPDX-License-Identifier: MIT
# A server that is no Redis: answers every connection's first command with the bytes of argv[1] (escapes as in Python), dripping one byte
# every argv[2] seconds if that is not 0, then keeps the connection open unless argv[3] is "close". Prints its port.
import socket, sys, threading, time

answer = sys.argv[1].encode().decode("unicode_escape").encode("latin-1") * int(sys.argv[4] if len(sys.argv) > 4 else 1)
pause, end = float(sys.argv[2]), sys.argv[3]
listener = socket.create_server(("127.0.0.1", 0))
print("port", listener.getsockname()[1])
print("ready", flush=True)


def serve(c):
    try:
        c.recv(65536)
        if pause:
            for i in range(len(answer)):
                c.sendall(answer[i:i + 1])
                time.sleep(pause)
        else:
            c.sendall(answer)
        if end == "close":
            c.close()
        else:
            time.sleep(30)
    except OSError:
        pass


while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
