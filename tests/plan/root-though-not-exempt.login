user=toor
uid=0
