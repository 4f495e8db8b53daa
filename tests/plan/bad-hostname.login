user=a$b
