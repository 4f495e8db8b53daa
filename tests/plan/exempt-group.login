groups=users,wheel
