user=bob
uid=1005
home=/srv/homes/bob
shell=/bin/bash
door=shell
