groups=users,students
