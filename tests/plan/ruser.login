service=su
ruser=bob
